//! What /metrics says, in both formats, and of whom.
