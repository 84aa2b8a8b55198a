//! Logway room `config`.
