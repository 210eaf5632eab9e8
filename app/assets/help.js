// Streamlit calls the help button of every heading "Help"; here it is named by its heading, so that
// a list of a page's buttons says which is which.
(() => {
  if (window.fameHelp) return;
  window.fameHelp = true;
  let waiting = 0;
  const name = () => {
    waiting = 0;
    for (const button of document.querySelectorAll('button[aria-label="Help"]')) {
      const heading = button.closest("h1, h2, h3, h4")?.querySelector("[data-heading-text]");
      if (heading) button.setAttribute("aria-label", `Help: ${heading.textContent}`);
    }
  };
  const soon = () => {
    waiting ||= requestAnimationFrame(name);
  };
  new MutationObserver(soon).observe(document.body, { childList: true, subtree: true });
  name();
})();
