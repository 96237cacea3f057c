"""Any file -> Scan: the formats, their fields, and what is looked at before a scan is trusted."""
