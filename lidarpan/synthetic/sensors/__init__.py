"""LiDAR sensors: where their rays go, and what a surface gives back."""
