"use strict";
// The sign-in link carries the token behind `#`, where no server and no log sees it. It is kept for this tab only.
(function () {
	const fromLink = new URLSearchParams(location.hash.slice(1)).get("token");
	if (fromLink) {
		sessionStorage.setItem("token", fromLink);
		history.replaceState(null, "", location.pathname);
	}
	const token = sessionStorage.getItem("token");

	function claims() {
		try {
			const part = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
			return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (c) => c.charCodeAt(0))));
		} catch {
			return null;
		}
	}

	const who = claims();
	if (who) {
		const until = new Date(who.exp * 1000);
		const name = who.name || who.email || who.sub;
		document.getElementById("who").textContent =
			until < new Date()
				? "Your sign-in has expired: open a new sign-in link."
				: `Signed in as ${name} (${who.role}) of tenant ${who.tenant}, until ${until.toLocaleString()}.`;
	}

	const copy = document.getElementById("copy");
	copy.hidden = !token;
	copy.addEventListener("click", async () => {
		await navigator.clipboard.writeText(token);
		copy.textContent = "Copied";
	});

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
				const r = await fetch(button.dataset.try, {
					headers: token ? { Authorization: `Bearer ${token}` } : {},
				});
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
