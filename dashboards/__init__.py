"""What Grafana shows: dashboards and provisioning files, generated from code and shipped in the wheel."""
