"use strict";
// The page calls the API with the session of the Console: a cookie that no script can read.
(function () {
	const title = document.getElementById("who");
	fetch("/v1/session", { cache: "no-store" })
		.then(async (r) => {
			if (!r.ok) return;
			const who = await r.json();
			title.textContent = `Signed in as ${who.name || who.email} (${who.role}) of tenant ${who.tenant}.`;
		})
		.catch(() => {});

	for (const pre of document.querySelectorAll("pre.curl")) {
		const { method, path, body } = pre.dataset;
		const lines = [`curl -H "Authorization: Bearer $TOKEN"`];
		if (method !== "GET") lines.push(`-X ${method}`);
		if (body) {
			lines.push(`-H 'Content-Type: application/${method === "PATCH" ? "merge-patch+" : ""}json'`);
			lines.push(`-d '${body}'`);
		}
		lines.push(`'${location.origin}${path}'`);
		pre.textContent = lines.join(" \\\n  ");
	}

	for (const button of document.querySelectorAll("button[data-try]")) {
		button.addEventListener("click", async () => {
			const answer = button.closest("article").querySelector("pre.answer");
			answer.hidden = false;
			answer.textContent = "…";
			try {
				const r = await fetch(button.dataset.try, { cache: "no-store" });
				const text = await r.text();
				let shown = text;
				try {
					shown = JSON.stringify(JSON.parse(text), null, 2);
				} catch {
					// not JSON: shown as it is
				}
				answer.textContent = `${r.status} ${r.statusText}\n${shown}`;
			} catch (e) {
				answer.textContent = `The API did not answer: ${e.message}`;
			}
		});
	}
})();
