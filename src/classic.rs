//! The convolutions of Theano, cuda-convnet and scipy by their own names, and what they are made of.

#[doc = include_str!("classic/guide.md")]
pub mod guide {}
pub mod ndimage;
pub mod operation;
pub mod signal;
pub mod theano;
