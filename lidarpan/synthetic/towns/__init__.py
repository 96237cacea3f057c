"""What stands in towns: streets, plots, buildings, plants and the ground under them."""
