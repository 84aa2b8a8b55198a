//! Logway room `tests`.
