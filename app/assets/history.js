// Streamlit puts a page into the browser's history when it is opened, and once more when the page
// then writes its choices to the address: Back led from the second to the first, which is the same
// page. Here the address that a page writes by itself completes the entry that is there. What a
// person does afterwards makes new ones, as before. (Of the very first page it may come too late.)
(() => {
  if (window.fameHistory) return;
  window.fameHistory = true;
  const push = history.pushState.bind(history);
  let untouched = true; // since the page was opened
  history.pushState = (state, title, url) => {
    const same = new URL(url, location.href).pathname === location.pathname;
    if (same && untouched) history.replaceState(state, title, url);
    else push(state, title, url);
    untouched = !same;
  };
  const touched = () => {
    untouched = false;
  };
  for (const name of ["pointerdown", "keydown"]) addEventListener(name, touched, true);
})();
