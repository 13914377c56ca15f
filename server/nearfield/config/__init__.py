"""Settings: what can be set (`schema`), where it comes from and how it is checked (`load`)."""
