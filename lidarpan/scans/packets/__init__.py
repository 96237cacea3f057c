"""Network packets of sensors -> scans."""
