//! Our operations as tract sees them: facts and evaluation, no arithmetic.

pub mod region;
