//! The words of which a new screen shows two: short, of things, and none like another on the telephone.

/// One for each value of a byte.
pub(super) const WORDS: [&str; 256] = [
    "acorn", "amber", "anchor", "apple", "apron", "arrow", "aspen", "atlas", "autumn", "badge", "bagel", "bamboo",
    "banjo", "barley", "basil", "basket", "beach", "beacon", "beaver", "berry", "birch", "bison", "blanket", "bloom",
    "bonnet", "bottle", "breeze", "brick", "bridge", "bronze", "brook", "bucket", "butter", "button", "cabin",
    "cactus", "camel", "candle", "canoe", "canyon", "carbon", "carpet", "castle", "cedar", "cello", "cherry", "chess",
    "cinder", "circle", "citrus", "clay", "cliff", "clover", "cobalt", "cocoa", "comet", "copper", "coral", "cotton",
    "cradle", "crane", "crater", "cricket", "crystal", "curtain", "cypress", "daisy", "dawn", "delta", "desert",
    "dolphin", "domino", "donkey", "dragon", "drum", "dune", "eagle", "echo", "ember", "emerald", "engine", "falcon",
    "feather", "fern", "ferry", "fiddle", "field", "finch", "flame", "flint", "flute", "forest", "fossil", "fountain",
    "fox", "galaxy", "garden", "garlic", "gate", "ginger", "glacier", "globe", "granite", "grape", "gravel", "hammer",
    "harbour", "harp", "hazel", "heron", "hill", "honey", "horizon", "hornet", "island", "ivory", "ivy", "jacket",
    "jade", "jasmine", "jelly", "jungle", "juniper", "kayak", "kettle", "kite", "kiwi", "ladder", "lagoon", "lantern",
    "lark", "laurel", "lava", "lemon", "lentil", "lily", "linen", "lion", "lobster", "lotus", "lunar", "magnet",
    "mango", "maple", "marble", "marsh", "meadow", "melon", "meteor", "mint", "mirror", "mitten", "monsoon", "moon",
    "moss", "mountain", "mustard", "nectar", "needle", "nickel", "nutmeg", "oak", "oasis", "ocean", "olive", "onyx",
    "opal", "orange", "orbit", "orchid", "otter", "owl", "oyster", "paddle", "palm", "panda", "paper", "parrot",
    "peach", "pearl", "pebble", "pepper", "piano", "pillow", "pine", "planet", "plum", "pocket", "polar", "poplar",
    "poppy", "prairie", "prism", "pumpkin", "quartz", "quill", "quilt", "rabbit", "radish", "raven", "reef", "ribbon",
    "ridge", "river", "robin", "rocket", "rose", "ruby", "saddle", "saffron", "sage", "salmon", "sand", "sapphire",
    "satin", "scarf", "shell", "silk", "silver", "sparrow", "spice", "spruce", "squash", "star", "stone", "storm",
    "summer", "sunset", "swan", "tango", "teapot", "temple", "thistle", "thunder", "tiger", "timber", "topaz", "tulip",
    "tundra", "turtle", "valley", "vanilla", "velvet", "violet", "violin", "volcano", "walnut", "walrus", "water",
    "whale", "wheat", "willow", "window", "winter", "wolf", "zebra",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_word_stands_twice() {
        assert_eq!(WORDS.iter().collect::<BTreeSet<_>>().len(), WORDS.len());
        assert!(WORDS.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase())));
    }
}
