//! A plan as a file: TOML, or JSON where the name ends so. Shrinking writes it, and it is run like a scenario.

use std::path::Path;

use crate::{
    plan::Plan,
    scenario::{Complaint, Problem},
};

impl Plan {
    /// As TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a plan holds nothing that TOML cannot say")
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a plan holds nothing that JSON cannot say")
    }

    /// Reads TOML; `path` names it in errors.
    ///
    /// # Errors
    /// When it is no plan that can be run: where, why, and what to do.
    pub fn from_toml(path: &str, text: &str) -> Result<Self, Problem> {
        let plan: Self =
            toml::from_str(text).map_err(|error| Complaint::of_toml(&error).in_file(path, text))?;
        plan.checked(path)
    }

    /// Reads JSON; `path` names it in errors.
    ///
    /// # Errors
    /// When it is no plan that can be run: where, why, and what to do.
    pub fn from_json(path: &str, text: &str) -> Result<Self, Problem> {
        let plan: Self = serde_json::from_str(text).map_err(|error| Problem::Wrong {
            file: path.into(),
            line: error.line(),
            message: format!("{error}: correct it, or shrink the plan anew"),
        })?;
        plan.checked(path)
    }

    /// Reads a file of either kind.
    ///
    /// # Errors
    /// When it cannot be read, or is no plan that can be run: where, why, and what to do.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Problem> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Problem::Read { path: path.to_path_buf(), source })?;
        let name = path.display().to_string();
        if is_json(path) { Self::from_json(&name, &text) } else { Self::from_toml(&name, &text) }
    }

    /// Whether a text is a plan, and no scenario: only a plan has a seed.
    #[must_use]
    pub fn is_plan(path: impl AsRef<Path>, text: &str) -> bool {
        is_json(path.as_ref())
            || toml::from_str::<toml::Table>(text).is_ok_and(|table| table.contains_key("seed"))
    }

    fn checked(self, path: &str) -> Result<Self, Problem> {
        match self.check() {
            Ok(()) => Ok(self),
            Err(message) => Err(Problem::Wrong { file: path.into(), line: 1, message }),
        }
    }

    /// Whether it can be run: nodes exist, and all is in order of time.
    ///
    /// # Errors
    /// When it cannot: why, and what to do.
    pub fn check(&self) -> Result<(), String> {
        if self.nodes == 0 {
            return Err("a plan without nodes: set `nodes`".into());
        }
        if self.places.len() != self.nodes {
            return Err(format!("{} places for {} nodes: give each node one", self.places.len(), self.nodes));
        }
        if let Some(node) = self.nodes_named().into_iter().find(|node| *node >= self.nodes) {
            return Err(format!(
                "there is no node {node}: the nodes are 0 to {}; correct it, or raise `nodes`",
                self.nodes - 1
            ));
        }
        if let Some(edge) = self.edges.iter().find(|edge| edge.from == edge.to) {
            return Err(format!("an edge links node {} with itself: remove it", edge.from));
        }
        if !self.operations.is_sorted_by_key(|operation| operation.at) {
            return Err("the operations are not in order of time: sort them".into());
        }
        if !self.faults.is_sorted_by_key(|fault| fault.at) {
            return Err("the faults are not in order of time: sort them".into());
        }
        let last = self.faults.iter().filter_map(|fault| fault.ends().or(Some(fault.at)));
        match last.chain(self.operations.iter().map(|operation| operation.at)).max() {
            Some(last) if last > self.ends => Err(format!(
                "something happens at {}, but the plan ends at {}: raise `ends`",
                humantime::format_duration(last),
                humantime::format_duration(self.ends)
            )),
            _ => Ok(()),
        }
    }

    /// Every node that is named somewhere.
    fn nodes_named(&self) -> Vec<usize> {
        let mut named: Vec<usize> = self.late.iter().copied().collect();
        named.extend(self.edges.iter().flat_map(|edge| [edge.from, edge.to]));
        named.extend(self.operations.iter().map(|operation| operation.node));
        named.extend(self.faults.iter().flat_map(|fault| fault.kind.nodes()));
        named
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Seeds: a number, or a text where it is more than TOML's integers can say.
pub(crate) mod seed_of {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a seed: write a number, one above 9223372036854775807 in quotes")]
    enum Written {
        Number(u64),
        Text(String),
    }

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(crate) fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(*seed) {
            Ok(_) => serializer.serialize_u64(*seed),
            Err(_) => serializer.collect_str(seed),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is no seed.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Number(seed) => Ok(seed),
            Written::Text(text) => text
                .parse()
                .map_err(|_| D::Error::custom(format!("{text:?} is no seed: write a number from 0"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scenario::{Overrides, library};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_plan_is_the_same_after_it_was_a_file(seed: u64, which in 0..library().len()) {
            let plan = library()[which].scenario().draw(seed, &Overrides::default()).expect("it is drawn");
            let toml = plan.to_toml();
            prop_assert_eq!(&Plan::from_toml("plan.toml", &toml).map_err(|e| e.to_string()), &Ok(plan.clone()));
            prop_assert!(Plan::is_plan("plan.toml", &toml));
            let json = plan.to_json();
            prop_assert_eq!(&Plan::from_json("plan.json", &json).map_err(|e| e.to_string()), &Ok(plan));
        }
    }

    fn why(change: impl FnOnce(&mut String)) -> String {
        let scenario = crate::scenario::find("dying-hub").expect("there is one");
        let mut text = scenario.draw(1, &Overrides::default()).expect("it is drawn").to_toml();
        change(&mut text);
        Plan::from_toml("plan.toml", &text).expect_err("it is wrong").to_string()
    }

    #[test]
    fn a_plan_that_makes_no_sense_says_where_and_what_to_do() {
        let crash = |to: &'static str| move |text: &mut String| *text = text.replace("fault = \"crash\"", to);
        assert!(why(crash("fault = \"crush\"")).contains("there is no `crush`: did you mean `crash`?"));
        assert!(why(|text| *text = text.replace("nodes = 10\n", "nodes = 5\n")).contains("10 places"));
        assert!(why(|text| *text = text.replace("ends = \"3m\"", "ends = \"1m\"")).contains("raise `ends`"));
        let duration = why(|text| *text = text.replace("ends = \"3m\"", "ends = \"soon\""));
        assert!(duration.contains("\"soon\" is no duration"), "{duration}");
        assert!(duration.starts_with("plan.toml:7:"), "{duration}");
    }

    #[test]
    fn a_scenario_is_no_plan() {
        assert!(library().iter().all(|listed| !Plan::is_plan("x.toml", listed.text)));
    }
}
