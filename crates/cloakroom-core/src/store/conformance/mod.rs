//! One suite for every adapter of the two ports.
