//! Bad files beside what is said about them, and good files beside what they mean.
