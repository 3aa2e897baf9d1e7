//! Values that break what quotes carelessly, and the random numbers that choose them.

/// What the code in a value would make, if a shell ran it.
pub(crate) const MARKER: &str = "MADE";

/// Parts of values: code in the syntax of each context, and what shells and msup read as something
/// else than text.
const PARTS: &[&[u8]] = &[
    b"$(touch MADE)",
    b"`touch MADE`",
    b";touch MADE;",
    b"&touch MADE&",
    b"|touch MADE|",
    b"\ntouch MADE\n",
    b"';touch MADE;'",
    b"\";touch MADE;\"",
    b"};touch MADE;{",
    b");touch MADE;(",
    b"a[$(touch MADE)]",
    b"$((a[$(touch MADE)]))",
    b"]];touch MADE;[[",
    b"\nE\ntouch MADE\n",
    b"=(touch MADE)",
    b"<(touch MADE)",
    b">MADE",
    b" >MADE ",
    b"${x:=MADE}",
    b"$(echo changed)",
    b"'",
    b"\"",
    b"\\",
    b"''",
    b"\\'",
    b"\\\"",
    b"'\"'\"'",
    b"$",
    b"$$",
    b"$HOME",
    b"$1",
    b"$@",
    b"$MSUP_V1",
    b"${IFS}",
    b"$'\\x41'",
    b"\\n",
    b"\\x41",
    b"%s%n",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b"\t",
    b" ",
    b"  ",
    b"-",
    b"--",
    b"-n",
    b"-e x",
    b"--help",
    b"{}",
    b"{.}",
    b"{1}",
    b"{-1/}",
    b"{#}",
    b"{%}",
    b"{out}",
    b"{= x =}",
    b"{a,b}",
    b"{1..3}",
    b"*",
    b"?",
    b"[a-z]*",
    b"**/*",
    b"!",
    b"!!",
    b"!x",
    b"~",
    b"~root",
    b"=ls",
    b"^x^y",
    b"#",
    b" # x",
    b":::",
    b"::::",
    b"/",
    b".",
    b"..",
    b"../",
    b"x.tar.gz",
    b"d/e.f",
    b"&&",
    b"||",
    b"(",
    b")",
    b"[",
    b"]",
    b"<",
    b"<<E",
    b"\x01",
    b"\x02\x03",
    b"\x07\x08",
    b"\x1b[31m",
    b"\x7f",
    b"\x80",
    b"\x81\x82\x88",
    b"\x83\x84",
    b"\xa2\xb0",
    b"\xc3",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3\xa4",
    b"\xe2\x82\xac",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"\xc2\xa0",
    b"\xe2\x80\xa8",
    b"a",
    b"a b",
    b"0",
    b"x",
];

/// Random numbers, the same for the same seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Each test has its own: `MSUP_SEED`, or 1, and a number of the test.
    pub(crate) fn new(test: u64) -> Random {
        Random(seed().wrapping_mul(0x0100_0000_01b3) ^ test)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Some parts, one behind the other, and seldom bytes of any kind.
    pub(crate) fn value(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        for _ in 0..self.below(6) {
            if self.below(10) == 0 {
                let bytes = (0..self.below(9)).map(|_| self.below(255) as u8 + 1);
                value.extend(bytes.collect::<Vec<u8>>());
            } else {
                value.extend_from_slice(self.pick::<&[u8]>(PARTS));
            }
        }
        value
    }

    /// Each part as a value of its own, an empty value, one of this length, and random ones: so
    /// many together, in random order.
    pub(crate) fn values(&mut self, count: usize, longest: usize) -> Vec<Vec<u8>> {
        let mut values: Vec<Vec<u8>> = PARTS.iter().map(|part| part.to_vec()).collect();
        self.shuffle(&mut values);
        values.truncate(count.saturating_sub(2) / 2);
        values.push(Vec::new());
        values.push(self.long(longest));
        while values.len() < count {
            values.push(self.value());
        }
        self.shuffle(&mut values);
        values
    }

    fn long(&mut self, length: usize) -> Vec<u8> {
        let mut value = Vec::new();
        while value.len() < length {
            value.extend(self.value());
            value.push(b'.');
        }
        value.truncate(length);
        value
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, self.below(at + 1));
        }
    }
}

pub(crate) fn seed() -> u64 {
    from_environment("MSUP_SEED").unwrap_or(1)
}

pub(crate) fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// How many random templates a test makes for each shell: `MSUP_TEMPLATES`, or a few.
pub(crate) fn templates(few: usize) -> usize {
    from_environment("MSUP_TEMPLATES").map_or(few, |count| count as usize)
}

/// Values that a list without `-0` can hold.
pub(crate) fn without(bytes: &[u8], mut values: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    values.retain(|value| !value.iter().any(|byte| bytes.contains(byte)));
    values
}

/// A list in which this byte ends each value.
pub(crate) fn list(values: &[Vec<u8>], end: u8) -> Vec<u8> {
    values.iter().flat_map(|value| value.iter().copied().chain([end])).collect()
}
