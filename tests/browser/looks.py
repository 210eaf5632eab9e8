"""What a person would see at once, asked of the browser."""

# Of everything with text that a selector finds, what reaches beyond a width and cannot be scrolled
# to: an argument of [selector, width].
CUT = """([selector, width]) => [...document.querySelectorAll(selector)].filter(one => {
    const box = one.getBoundingClientRect();
    if (!box.width || box.right <= width + 1 || !one.textContent.trim()) return false;
    for (let above = one.parentElement; above; above = above.parentElement)
        if (["auto", "scroll"].includes(getComputedStyle(above).overflowX)) return false;
    return one.checkVisibility({ opacityProperty: true, visibilityProperty: true });
}).map(one => `${one.tagName} ${one.dataset.testid ?? ""} ${one.textContent.slice(0, 40)}`)"""
