"""Faces: found (`find`, `mesh_finder`), followed through films (`follow`), cut out and pasted back (`crop`), read as
curves and moved by them (`rig`). `portrait.Portrait` is who a film is of.

Nothing is imported here, so that the tables (`mesh`, `arkit`) and the rig can be had without OpenCV or MediaPipe.
"""
