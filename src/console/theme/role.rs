//! The roles a theme gives styles to; each falls back to its parent, so that a theme may set few.

macro_rules! roles {
    ($($role:ident $text:literal $parent:ident,)*) => {
        /// What a piece of the screen is, to a theme.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(usize)]
        pub(crate) enum Role { $(#[doc = $text] $role,)* }

        impl Role {
            /// All roles; a parent comes before its children.
            pub(crate) const ALL: &[Role] = &[$(Role::$role,)*];

            /// Returns the dotted name used in theme files.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Role::$role => $text,)* }
            }

            /// Returns the role whose style is taken when this one has none; the root is its own parent.
            pub(crate) fn parent(self) -> Role {
                match self { $(Role::$role => Role::$parent,)* }
            }
        }
    };
}

roles! {
    Fg "fg" Fg,
    Bg "bg" Bg,
    FgMuted "fg.muted" Fg,
    FgDisabled "fg.disabled" FgMuted,
    Accent "accent" Fg,
    AccentAlt "accent.alt" Accent,
    Border "border" FgMuted,
    BorderFocus "border.focus" Border,
    Title "title" Accent,
    TitleCount "title.count" FgMuted,
    TitleFilter "title.filter" Title,
    HeaderLabel "header.label" FgMuted,
    HeaderValue "header.value" Fg,
    EnvProd "env.prod" HeaderValue,
    EnvStage "env.stage" HeaderValue,
    EnvDev "env.dev" HeaderValue,
    EnvReadonly "env.readonly" HeaderValue,
    Crumb "crumb" FgMuted,
    CrumbActive "crumb.active" Fg,
    Key "key" Accent,
    PromptCommand "prompt.command" Accent,
    PromptFilter "prompt.filter" Accent,
    PromptSuggest "prompt.suggest" FgMuted,
    StateOk "state.ok" Fg,
    StatePaused "state.paused" FgMuted,
    StatePending "state.pending" Accent,
    StateWarn "state.warn" Accent,
    StateError "state.error" StateWarn,
    StateDone "state.done" StateOk,
    PromptError "prompt.error" StateError,
    TableHeader "table.header" FgMuted,
    TableHeaderSort "table.header.sort" TableHeader,
    TableRowAlt "table.row.alt" Fg,
    TableCursor "table.cursor" Accent,
    TableCursorInactive "table.cursor.inactive" TableCursor,
    TableMark "table.mark" Accent,
    TableMatch "table.match" Accent,
    FlashInfo "flash.info" StateOk,
    FlashWarn "flash.warn" StateWarn,
    FlashError "flash.error" StateError,
    Dialog "dialog" Fg,
    DialogDanger "dialog.danger" StateError,
    Button "button" FgMuted,
    ButtonFocus "button.focus" TableCursor,
    Input "input" Fg,
    InputSelection "input.selection" TableCursor,
    SyntaxKey "syntax.key" Accent,
    SyntaxString "syntax.string" Fg,
    SyntaxNumber "syntax.number" Fg,
    SyntaxBool "syntax.bool" SyntaxNumber,
    SyntaxNull "syntax.null" FgMuted,
    SyntaxPunct "syntax.punct" FgMuted,
    Chart1 "chart.1" Accent,
    Chart2 "chart.2" Chart1,
    Chart3 "chart.3" Chart1,
    Chart4 "chart.4" Chart1,
    GaugeStart "gauge.start" StateOk,
    GaugeMid "gauge.mid" StateWarn,
    GaugeEnd "gauge.end" StateError,
    Progress "progress" Accent,
    ProgressError "progress.error" StateError,
    Spinner "spinner" Accent,
    Scrollbar "scrollbar" FgMuted,
}

impl Role {
    /// Finds a role by its dotted name.
    pub(crate) fn named(name: &str) -> Option<Role> {
        Role::ALL.iter().copied().find(|role| role.name() == name)
    }
}
