"""One model of the sky for all detectors of a visit."""
