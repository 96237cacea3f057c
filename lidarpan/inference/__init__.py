"""Folders of scans and recordings -> predictions in files."""

from lidarpan.inference.folders import predict_files, predict_pairs, predict_sources
from lidarpan.inference.job import Asked, Handling, Prediction

__all__ = ["Asked", "Handling", "Prediction", "predict_files", "predict_pairs", "predict_sources"]
