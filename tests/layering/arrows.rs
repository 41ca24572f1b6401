//! Who names whom: paths resolved to the files that define what they name.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Module, Segments, Source};

/// What one file takes from others: each file with the names that are taken from it.
pub(crate) type Taken = BTreeMap<usize, BTreeSet<String>>;

/// The room of a file; the crate's root is in none.
pub(crate) fn room(file: &str) -> Option<&str> {
    let room = file.split('/').next()?.trim_end_matches(".rs");
    (room != "lib").then_some(room)
}

/// What a path comes to.
#[derive(Debug)]
enum Found {
    Module(usize),
    /// An item of a module, and its name there.
    Item(usize, String),
}

impl Source {
    /// What each file takes from which other files.
    ///
    /// A module that hands on what lies below it is only its face, and does not use it. Methods count
    /// where their type is defined, but for those that another file adds to a type: who calls one of
    /// these in the same room uses that file, if no other method has the name.
    pub(crate) fn arrows(&self) -> Vec<Taken> {
        let mut taken = vec![Taken::new(); self.files.len()];
        let methods = self.added_methods();
        for (id, module) in self.modules.iter().enumerate() {
            let mut take = |file: usize, name: &str| {
                if file != module.file {
                    taken[module.file].entry(file).or_default().insert(name.to_owned());
                }
            };
            for path in &module.named {
                if let Some(Found::Item(of, name)) = self.resolve(id, path) {
                    take(self.modules[of].file, &name);
                }
            }
            for path in &module.handed_on {
                match self.resolve(id, path) {
                    Some(Found::Item(of, name)) if !self.is_below(of, id) => {
                        take(self.modules[of].file, &name);
                    }
                    _ => {}
                }
            }
            for name in &module.called {
                match methods.get(name.as_str()) {
                    Some(file) if room(&self.files[*file]) == room(&self.files[module.file]) => {
                        take(*file, name);
                    }
                    _ => {}
                }
            }
        }
        taken
    }

    /// The paths that a file names, in full where they begin with a name from a `use` line.
    pub(crate) fn paths(&self, file: usize) -> BTreeSet<Segments> {
        let mut paths = BTreeSet::new();
        for module in self.modules.iter().filter(|module| module.file == file) {
            let stars = module.globs.iter();
            for path in module.named.iter().chain(&module.handed_on).chain(stars) {
                let bound = path.first().and_then(|first| module.bound.get(first));
                let full = bound.map(|bound| [bound, &path[1..]].concat());
                paths.insert(full.unwrap_or_else(|| path.clone()));
            }
        }
        paths
    }

    /// Methods that stand in another file than their type, by names that are no others'.
    fn added_methods(&self) -> BTreeMap<&str, usize> {
        let mut files = BTreeMap::<&str, BTreeSet<usize>>::new();
        let mut added = BTreeMap::new();
        for (id, module) in self.modules.iter().enumerate() {
            for (of, name) in &module.methods {
                files.entry(name).or_default().insert(module.file);
                if let Some(Found::Item(home, _)) = self.resolve(id, of) {
                    if self.modules[home].file != module.file {
                        added.insert(name.as_str(), module.file);
                    }
                }
            }
        }
        added.retain(|name, _| {
            let of_a_trait = |module: &Module| module.trait_methods.contains(*name);
            files[name].len() == 1 && !self.modules.iter().any(of_a_trait)
        });
        added
    }

    fn is_below(&self, mut module: usize, above: usize) -> bool {
        while let Some(parent) = self.modules[module].parent {
            if parent == above {
                return true;
            }
            module = parent;
        }
        false
    }

    /// What a path comes to in a module; nothing if it leads out of the crate.
    fn resolve(&self, from: usize, path: &[String]) -> Option<Found> {
        self.walk(from, path, &mut BTreeSet::new())
    }

    fn walk(
        &self,
        from: usize,
        path: &[String],
        seen: &mut BTreeSet<(usize, String)>,
    ) -> Option<Found> {
        let mut here = from;
        for (at, name) in path.iter().enumerate() {
            match name.as_str() {
                "crate" => here = 0,
                "self" => {}
                "super" => here = self.modules[here].parent?,
                name => {
                    let is_first = at == 0;
                    match self.look_up(here, name, is_first, seen) {
                        Some(Found::Module(module)) => here = module,
                        // What follows belongs to the item: a variant, an associated function.
                        item => return item,
                    }
                }
            }
        }
        Some(Found::Module(here))
    }

    /// What a name stands for in a module.
    fn look_up(
        &self,
        here: usize,
        name: &str,
        is_first: bool,
        seen: &mut BTreeSet<(usize, String)>,
    ) -> Option<Found> {
        if !seen.insert((here, name.to_owned())) {
            return None;
        }
        let module = &self.modules[here];
        if let Some(child) = module.children.get(name) {
            return Some(Found::Module(*child));
        }
        if module.items.contains(name) {
            return Some(Found::Item(here, name.to_owned()));
        }
        if let Some(bound) = module.bound.get(name) {
            return self.walk(here, bound, seen);
        }
        let mut starred =
            module.globs.iter().filter_map(|glob| match self.walk(here, glob, &mut seen.clone()) {
                Some(Found::Module(from)) => self.look_up(from, name, true, seen),
                _ => None,
            });
        if let Some(found) = starred.next() {
            return Some(found);
        }
        // Made by a macro, or a name from outside of the crate.
        (!is_first || module.perhaps.contains(name)).then(|| Found::Item(here, name.to_owned()))
    }
}

/// The circles: files each of which leads to all others of its circle.
pub(crate) fn circles(arrows: &[Taken]) -> Vec<Vec<usize>> {
    let reach: Vec<BTreeSet<usize>> = (0..arrows.len())
        .map(|from| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(file) = next.pop() {
                next.extend(arrows[file].keys().filter(|to| seen.insert(**to)));
            }
            seen
        })
        .collect();
    let mut circles = Vec::new();
    for from in 0..arrows.len() {
        let circle: Vec<usize> =
            reach[from].iter().copied().filter(|to| reach[*to].contains(&from)).collect();
        if circle.first() == Some(&from) {
            circles.push(circle);
        }
    }
    circles
}
