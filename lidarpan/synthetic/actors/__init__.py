"""What moves in towns, as meshes: vehicles, people and what they carry."""
