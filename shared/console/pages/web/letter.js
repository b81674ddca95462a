// Runs in a sandboxed frame of an opaque origin: takes the mail's HTML from the page around it and shows it. Scripts of
// the mail do not run: innerHTML starts none, and the policy of this document has no place for handlers.
"use strict";
addEventListener("message", (e) => {
	if (e.source !== parent || typeof e.data !== "string") return;
	const mail = new DOMParser().parseFromString(e.data, "text/html");
	document.head.append(...mail.querySelectorAll("style"));
	document.body.replaceWith(mail.body);
	for (const a of document.querySelectorAll("a[href]")) a.removeAttribute("target");
	parent.postMessage(Math.ceil(document.body.getBoundingClientRect().bottom + 16), "*");
});
parent.postMessage("ready", "*");
