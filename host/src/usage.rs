//! The usage room.
