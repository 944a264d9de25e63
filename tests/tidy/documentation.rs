//! Every file says what it holds, every public item what it is.

use std::path::Path;

use syn::visit::Visit;

use crate::{read, rust_files};

#[test]
fn every_public_item_and_every_file_is_documented() {
    let mut bare = Vec::new();
    for path in rust_files() {
        let text = read(&path);
        if !text.starts_with("//!") {
            bare.push(format!("{}: begins without module documentation", path.display()));
        }
        let file = syn::parse_file(&text).expect("a file that compiles");
        let mut visitor = Undocumented { path: &path, bare: &mut bare };
        visitor.visit_file(&file);
    }
    assert!(bare.is_empty(), "undocumented:\n{}", bare.join("\n"));
}

/// Collects public items that have no documentation.
struct Undocumented<'a> {
    path: &'a Path,
    bare: &'a mut Vec<String>,
}

impl Undocumented<'_> {
    fn look(
        &mut self,
        visibility: Option<&syn::Visibility>,
        attributes: &[syn::Attribute],
        name: &syn::Ident,
    ) {
        let public = visibility.is_none_or(|it| matches!(it, syn::Visibility::Public(_)));
        let documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        if public && !documented {
            let line = name.span().start().line;
            self.bare.push(format!("{}:{line}: {name}", self.path.display()));
        }
    }
}

impl<'ast> Visit<'ast> for Undocumented<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let tests = module.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !tests {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.look(Some(&item.vis), &item.attrs, &item.sig.ident);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.look(Some(&item.vis), &item.attrs, &item.sig.ident);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.look(Some(&item.vis), &item.attrs, &item.ident);
        if matches!(item.vis, syn::Visibility::Public(_)) {
            for field in &item.fields {
                if let Some(name) = &field.ident {
                    self.look(Some(&field.vis), &field.attrs, name);
                }
            }
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.look(Some(&item.vis), &item.attrs, &item.ident);
        if matches!(item.vis, syn::Visibility::Public(_)) {
            for variant in &item.variants {
                self.look(None, &variant.attrs, &variant.ident);
            }
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.look(Some(&item.vis), &item.attrs, &item.ident);
        if matches!(item.vis, syn::Visibility::Public(_)) {
            for member in &item.items {
                if let syn::TraitItem::Fn(function) = member {
                    self.look(None, &function.attrs, &function.sig.ident);
                }
            }
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.look(Some(&item.vis), &item.attrs, &item.ident);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.look(Some(&item.vis), &item.attrs, &item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.look(Some(&item.vis), &item.attrs, &item.ident);
    }
}
