//! A text stands for a `str` wherever a map is asked.

use std::collections::HashMap;

use logway_protocol::Text;

#[test]
fn a_map_of_texts_is_asked_by_strings() {
    let texts = [
        "",
        "a",
        "büß",
        "a longer text that does not fit into a register",
    ];
    let map: HashMap<Text, usize> = texts.map(Text::from).into_iter().zip(0..).collect();
    for (at, text) in texts.iter().enumerate() {
        assert_eq!(map.get(*text), Some(&at), "{text:?}");
    }
    assert_eq!(map.get("b"), None);
}
