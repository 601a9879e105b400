"""What stands behind `import KSR`: one file per KSR module or group of them, and the Kamailio around them."""
