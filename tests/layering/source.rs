//! The product code of a crate: its modules, and the paths that each of them names.
//!
//! Files are read whole, from the root along `mod` lines. Left out are items, statements and fields
//! that only a test build has (`#[cfg(test)]`), comments, and the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};

/// The segments of a path as it is written, `crate`, `self` and `super` included.
pub(crate) type Segments = Vec<String>;

/// A module: a file, or a `mod name { … }` in one.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The module around it; the root has none.
    pub parent: Option<usize>,
    /// Its file, by its place in [`Source::files`].
    pub file: usize,
    /// The modules in it, by name.
    pub children: BTreeMap<String, usize>,
    /// The names that it defines.
    pub items: BTreeSet<String>,
    /// Names given to macros that may define items of these names.
    pub perhaps: BTreeSet<String>,
    /// What `use` lines bind: the name and what it stands for.
    pub bound: BTreeMap<String, Segments>,
    /// What `use` lines with a star take their names from.
    pub globs: Vec<Segments>,
    /// Paths in the code, and in `use` lines that only serve this module.
    pub named: Vec<Segments>,
    /// Paths in `use` lines that hand names on.
    pub handed_on: Vec<Segments>,
    /// Methods: the type that they are of, as written, and their name.
    pub methods: Vec<(Segments, String)>,
    /// The names of methods that are a trait's.
    pub trait_methods: BTreeSet<String>,
    /// The names of methods that it calls.
    pub called: BTreeSet<String>,
}

/// All modules of a crate; the first is the root.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub modules: Vec<Module>,
    /// Files relative to the root's folder, as `model/host.rs`.
    pub files: Vec<String>,
    /// Files that only a test build has.
    pub test_files: BTreeSet<String>,
}

impl Source {
    /// Reads a crate whose root is `lib.rs` in a folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut source = Self::default();
        source.modules.push(Module::default());
        source.file(folder, &folder.join("lib.rs"), folder, 0);
        source
    }

    /// Takes a single text for the root of a crate.
    pub(crate) fn of(text: &str) -> Self {
        let mut source = Self { files: vec!["lib.rs".to_owned()], ..Self::default() };
        source.modules.push(Module::default());
        let file = syn::parse_file(text).unwrap();
        source.items(&file.items, 0, None);
        source
    }

    fn file(&mut self, folder: &Path, path: &Path, inside: &Path, module: usize) {
        let text = fs::read_to_string(path).unwrap();
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        self.modules[module].file = self.files.len();
        self.files.push(relative(folder, path));
        self.items(&file.items, module, Some((folder, inside)));
    }

    fn items(&mut self, items: &[syn::Item], module: usize, place: Option<(&Path, &Path)>) {
        for item in items {
            let syn::Item::Mod(declared) = item else {
                Reader { module: &mut self.modules[module], is_inside: false }.visit_item(item);
                continue;
            };
            let name = declared.ident.to_string();
            let inside = place.map(|(folder, inside)| (folder, inside.join(&name)));
            if is_for_tests(&declared.attrs) {
                if let (None, Some((folder, inside))) = (&declared.content, &inside) {
                    self.test_files.insert(relative(folder, &file_of(inside)));
                }
                continue;
            }
            let child = self.modules.len();
            let file = self.modules[module].file;
            self.modules.push(Module { parent: Some(module), file, ..Module::default() });
            self.modules[module].children.insert(name, child);
            match (&declared.content, inside) {
                (Some((_, items)), inside) => {
                    let place = inside.as_ref().map(|(folder, inside)| (*folder, &**inside));
                    self.items(items, child, place);
                }
                (None, Some((folder, inside))) => {
                    self.file(folder, &file_of(&inside), &inside, child);
                }
                (None, None) => panic!("a single text has no modules elsewhere"),
            }
        }
    }
}

/// The file of a module that is not written where it is declared.
fn file_of(inside: &Path) -> PathBuf {
    let file = inside.with_extension("rs");
    if file.exists() { file } else { inside.join("mod.rs") }
}

pub(crate) fn relative(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/")
}

/// Whether something is only there in a test build.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Meta>().is_ok_and(|condition| needs_test(&condition))
    })
}

fn needs_test(condition: &syn::Meta) -> bool {
    match condition {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) if list.path.is_ident("all") => {
            let all = Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated;
            list.parse_args_with(all).is_ok_and(|all| all.iter().any(needs_test))
        }
        syn::Meta::List(_) | syn::Meta::NameValue(_) => false,
    }
}

/// Reads what is written in one module.
struct Reader<'a> {
    module: &'a mut Module,
    /// Whether it is within an item: what is defined there is nobody else's.
    is_inside: bool,
}

impl Reader<'_> {
    fn defines(&mut self, name: &syn::Ident) {
        if !self.is_inside {
            self.module.items.insert(name.to_string());
        }
    }

    fn imports(&mut self, tree: &syn::UseTree, mut before: Segments, hands_on: bool) {
        let (name, path) = match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                return self.imports(&path.tree, before, hands_on);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.imports(tree, before.clone(), hands_on);
                }
                return;
            }
            syn::UseTree::Glob(_) => return self.module.globs.push(before),
            syn::UseTree::Name(name) if name.ident == "self" => {
                (before.last().unwrap().clone(), before)
            }
            syn::UseTree::Name(name) => {
                before.push(name.ident.to_string());
                (name.ident.to_string(), before)
            }
            syn::UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    before.push(rename.ident.to_string());
                }
                (rename.rename.to_string(), before)
            }
        };
        let paths = if hands_on { &mut self.module.handed_on } else { &mut self.module.named };
        paths.push(path.clone());
        if name != "_" {
            self.module.bound.insert(name, path);
        }
    }

    /// The paths and the calls of methods in what a macro is given.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, sign: char| matches!(tokens.get(at), Some(TokenTree::Punct(found)) if found.as_char() == sign);
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let after_dot = at > 0 && is(at - 1, '.') && !(at > 1 && is(at - 2, '.'));
                    let mut path = vec![first.to_string()];
                    while is(at + 1, ':') && is(at + 2, ':') {
                        let Some(TokenTree::Ident(next)) = tokens.get(at + 3) else { break };
                        path.push(next.to_string());
                        at += 3;
                    }
                    if after_dot {
                        self.module.called.extend(path.pop());
                    } else {
                        self.module.named.push(path);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name) = parts(item);
        if is_for_tests(attributes) {
            return;
        }
        if let Some(name) = name {
            self.defines(name);
        }
        match item {
            // The call of a macro, not the definition of one.
            syn::Item::Macro(called) if called.ident.is_none() && !self.is_inside => {
                let names = called.mac.tokens.clone().into_iter().filter_map(|token| match token {
                    TokenTree::Ident(name) => Some(name.to_string()),
                    _ => None,
                });
                self.module.perhaps.extend(names);
            }
            _ => {}
        }
        let is_inside = std::mem::replace(&mut self.is_inside, true);
        visit::visit_item(self, item);
        self.is_inside = is_inside;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let hands_on = !matches!(item.vis, syn::Visibility::Inherited);
        self.imports(&item.tree, Vec::new(), hands_on);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let methods = item.items.iter().filter_map(|member| match member {
            syn::ImplItem::Fn(method) if !is_for_tests(&method.attrs) => {
                Some(method.sig.ident.to_string())
            }
            _ => None,
        });
        match (&item.trait_, &*item.self_ty) {
            (None, syn::Type::Path(of)) => {
                let of = segments(&of.path);
                self.module.methods.extend(methods.map(|name| (of.clone(), name)));
            }
            _ => self.module.trait_methods.extend(methods),
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_impl_item_fn(&mut self, method: &'ast syn::ImplItemFn) {
        if !is_for_tests(&method.attrs) {
            visit::visit_impl_item_fn(self, method);
        }
    }

    fn visit_trait_item_fn(&mut self, method: &'ast syn::TraitItemFn) {
        self.module.trait_methods.insert(method.sig.ident.to_string());
        visit::visit_trait_item_fn(self, method);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        if !is_for_tests(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !is_for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.module.called.insert(call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.module.named.push(segments(path));
        visit::visit_path(self, path);
    }

    /// Who may see something is no use of it.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        visit::visit_macro(self, called);
        self.tokens(called.tokens.clone());
    }

    /// Attributes name functions, as those of serde do, in texts too.
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
            for token in list.tokens.clone() {
                let TokenTree::Literal(literal) = token else { continue };
                if let Ok(path) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                    .and_then(|text| text.parse::<syn::Path>())
                {
                    self.module.named.push(segments(&path));
                }
            }
        }
    }
}

fn segments(path: &syn::Path) -> Segments {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The attributes of an item, and its name if it has one.
fn parts(item: &syn::Item) -> (&[syn::Attribute], Option<&syn::Ident>) {
    match item {
        syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::ExternCrate(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        syn::Item::ForeignMod(item) => (&item.attrs, None),
        syn::Item::Impl(item) => (&item.attrs, None),
        syn::Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        syn::Item::Mod(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::TraitAlias(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Union(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}
