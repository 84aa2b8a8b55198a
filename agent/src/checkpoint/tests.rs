//! The store under torn writes, damage and a second owner. Beside step 5 of the hallway.
