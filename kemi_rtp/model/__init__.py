"""Words and rules: pure functions and frozen data. Touches no file, no network, no shared memory; any process."""
