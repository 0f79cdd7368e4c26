"""Raw pictures, films and voices: judged, and (later) made into training data."""
