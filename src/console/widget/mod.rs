//! Pieces to draw with. Everything that is drawn goes through [`text`], which escapes.

pub(crate) mod boxes;
pub(crate) mod spark;
pub(crate) mod syntax;
pub(crate) mod table;
pub(crate) mod text;
