//! berth taken away from a node whose engine is gone, or does not answer.
