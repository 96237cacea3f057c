"""Scans as they come, at the sensor's pace, and what answers are worth that come late."""

from lidarpan.stream.live import Answer, Arrival, LiveStream, PanopticStream, paced

__all__ = ["Answer", "Arrival", "LiveStream", "PanopticStream", "paced"]
