//! Every metric is moved by something that happens.
