"""Libraries that only some formats need."""

from __future__ import annotations

from lidarpan.optional import need

__all__ = ["EXTRA", "need"]

EXTRA = "recordings"
"""The extra that installs what recordings need."""
