//! Logway room `agent`.
