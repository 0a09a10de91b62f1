"""Image differencing: template, matching kernel, decorrelated difference."""
