"""The driver for meshes: frames of a face to a stream of `MotionMesh` chunks."""
