//! The text that Prometheus reads, taken apart.

use std::collections::{BTreeMap, BTreeSet};

/// What an app exports.
pub struct Metrics {
    /// The kind of each metric, by its name.
    pub kinds: BTreeMap<String, String>,
    pub samples: Vec<Sample>,
}

/// One line.
#[derive(Debug)]
pub struct Sample {
    /// The metric that it is of.
    pub family: String,
    /// Its own name; a histogram has several.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Metrics {
    /// Panics at anything that is not of the format, or that no `HELP` and `TYPE` come before.
    pub fn parse(text: &str) -> Self {
        let (mut kinds, mut samples) = (BTreeMap::new(), Vec::new());
        let mut helped = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, about) = help.split_once(' ').expect(line);
                assert!(!about.is_empty(), "{line}");
                helped.insert(name.to_owned());
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect(line);
                assert!(helped.contains(name), "{line}");
                kinds.insert(name.to_owned(), kind.to_owned());
            } else {
                samples.push(Sample::parse(line, &kinds));
            }
        }
        Self { kinds, samples }
    }

    /// Every metric that has a value.
    pub fn names(&self) -> BTreeSet<&str> {
        self.samples.iter().map(|sample| sample.family.as_str()).collect()
    }

    /// The value of the sample with these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: BTreeMap<_, _> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = self.samples.iter().find(|s| s.name == name && s.labels == labels);
        found.map(|sample| sample.value)
    }
}

impl Sample {
    fn parse(line: &str, kinds: &BTreeMap<String, String>) -> Self {
        let (key, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = match key.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
            None => (key, ""),
        };
        let labels = labels.split("\",").filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once("=\"").expect(line);
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        let parts = ["_bucket", "_count", "_sum"];
        let histogram = parts.iter().find_map(|part| name.strip_suffix(part));
        let family = histogram.filter(|name| kinds.contains_key(*name)).unwrap_or(name);
        assert!(kinds.contains_key(family), "{line}");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        Self { family: family.to_owned(), name: name.to_owned(), labels: labels.collect(), value }
    }
}
