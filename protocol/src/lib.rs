//! Logway room `protocol`.
