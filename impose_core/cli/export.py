"""``impose export``: a network as ONNX files."""
