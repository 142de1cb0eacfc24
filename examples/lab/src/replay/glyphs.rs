use console::style;

/// What a timeline is drawn with.
pub(super) struct Glyphs {
    pub(super) call: char,
    pub(super) attempt: char,
    pub(super) pause: char,
    pub(super) failed: char,
    pub(super) cut_off: char,
    pub(super) value: char,
    pub(super) error: char,
    pub(super) dropped: char,
    pub(super) more: char,
}

impl Glyphs {
    /// For most terminals.
    pub(super) const UNICODE: Self =
        Self {
            call: '├', attempt: '━', pause: '·', failed: '×', cut_off: '╱', value: '✓', error: '✗', dropped: '⊘', more: '…'
        };

    /// For all.
    pub(super) const ASCII: Self =
        Self { call: '|', attempt: '=', pause: '.', failed: 'x', cut_off: '/', value: '+', error: '!', dropped: '#', more: '~' };

    /// What they mean, in a few lines.
    pub(super) fn legend(&self) -> String {
        let Self { call, attempt, pause, failed, cut_off, value, error, dropped, more: _ } = self;
        let attempts = format!("1{attempt}{attempt} attempt, by number   {failed} to be retried   {cut_off} cut off");
        let calls = format!("{call} call   {pause}{pause} waiting   {value} value   {error} error   {dropped} dropped");
        let at_once = "a/1, a/2  what a runs at once";
        style(format!("{attempts}   {calls}\n{at_once}   the axis is in milliseconds; it widens where much happens"))
            .dim()
            .to_string()
    }

    /// A line of a timeline, in colours where there are any.
    pub(super) fn paint(&self, line: &str) -> String {
        if !console::colors_enabled() {
            return line.to_owned();
        }
        let paint = |glyph: char| match glyph {
            glyph if glyph == self.value => style(glyph).green().bold(),
            glyph if glyph == self.error => style(glyph).red().bold(),
            glyph if glyph == self.failed || glyph == self.cut_off => style(glyph).yellow(),
            glyph if glyph == self.pause => style(glyph).dim(),
            glyph if glyph == self.attempt => style(glyph).cyan(),
            glyph if glyph.is_ascii_digit() => style(glyph).bold(),
            glyph => style(glyph),
        };
        line.chars().map(|glyph| paint(glyph).to_string()).collect()
    }
}
