//! Logway room `journal`.
