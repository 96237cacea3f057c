"""The network out of Python: a graph of plain operators for ONNX Runtime, or a package for C++."""
