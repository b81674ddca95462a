// What the tests do in a page. Each helper waits for what it needs, checks it anew at every change of the page, and
// says what was missing when it never was there.
globalThis.tocsinTest = (() => {
	const patience = 19_000; // milliseconds
	const shown = (e) => e.checkVisibility({ visibilityProperty: true });
	const squeeze = (text) => text.replace(/\s+/g, " ").trim();

	// until resolves with the first truthy value of find.
	const until = (what, find) =>
		new Promise((resolve, reject) => {
			let seen, timer;
			const look = () => {
				let found;
				try {
					found = document.body && find();
				} catch (e) {
					found = undefined;
				}
				if (!found) return false;
				seen?.disconnect();
				clearTimeout(timer);
				clearInterval(again);
				resolve(found);
				return true;
			};
			const again = setInterval(look, 50); // form properties and CSS change without a mutation
			if (look()) return;
			seen = new MutationObserver(look);
			seen.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
			timer = setTimeout(() => {
				seen.disconnect();
				clearInterval(again);
				reject(new Error(`not there: ${what}`));
			}, patience);
		});

	// follow follows an address of this page and tells when it did.
	const follow = (path) => {
		const link = document.createElement("a");
		link.href = path;
		document.body.append(link);
		const began = performance.now();
		link.click();
		link.remove();
		return began;
	};

	// drawnAfter is how many milliseconds after that all was drawn.
	const drawnAfter = async (began) => {
		await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
		return performance.now() - began;
	};

	// nameOf is what assistive technology calls an element, for what the Console is made of.
	const nameOf = (e) => {
		const by = e.getAttribute("aria-labelledby");
		if (by)
			return squeeze(
				by
					.split(" ")
					.map((id) => document.getElementById(id)?.textContent || "")
					.join(" "),
			);
		if (e.ariaLabel) return e.ariaLabel;
		if (e.labels?.length)
			return squeeze(
				[...e.labels]
					.map((l) => (l.matches(".label") ? l : l.querySelector(".label, span") || l).textContent)
					.join(" "),
			);
		return squeeze(e.textContent);
	};
	const root = () => document.querySelector("dialog[open]") || document.body;
	const named = (selector, name) => {
		const all = [...root().querySelectorAll(selector)].filter(shown);
		return (
			all.find((e) => [name, `${name} required`].includes(nameOf(e))) ||
			all.find((e) => nameOf(e).startsWith(name))
		);
	};
	const settled = () =>
		until(
			"the view is still being read",
			() => document.querySelector("h1") && !root().querySelector(".skeletons, [aria-busy='true'], .spinner"),
		);

	let leaves = true; // what a person answers who is asked about leaving a form
	let asked = 0;
	globalThis.confirm = () => {
		asked++;
		return leaves;
	};

	let saved; // the text of the newest file that was handed to the browser
	let file; // itself
	const address = URL.createObjectURL;
	URL.createObjectURL = (blob) => {
		saved = blob.text();
		file = blob;
		return address(blob);
	};

	let shift = 0;
	new PerformanceObserver((entries) => {
		for (const e of entries.getEntries()) if (!e.hadRecentInput) shift += e.value;
	}).observe({ type: "layout-shift", buffered: true });

	return {
		sees: (text) => until(text, () => squeeze(document.body.innerText).includes(text)).then(() => true),
		seesNot: (text) =>
			until(`gone: ${text}`, () => !squeeze(document.body.innerText).includes(text)).then(() => true),
		there: (selector) => until(selector, () => root().querySelector(selector)).then(() => true),
		click: async (name) => {
			const e = await until(`something to press called ${name}`, () => {
				const found = named("a[href], button, summary, [role=button]", name);
				return found && !found.disabled ? found : null;
			});
			e.click();
			return true;
		},
		tick: async (name, on = true) => {
			const e = await until(`a check box called ${name}`, () => named("input[type=checkbox]", name));
			if (e.checked !== on) e.click();
			return true;
		},
		tickIn: async (within, name) => {
			const e = await until(`a check box called ${name} in ${within}`, () =>
				[...document.querySelectorAll(`${within} input[type=checkbox]`)].find((box) => nameOf(box) === name),
			);
			e.click();
			return true;
		},
		pick: async (name) => {
			(await until(`a choice called ${name}`, () => named("input[type=radio]", name))).click();
			return true;
		},
		ticked: (name, want) =>
			until(`${name} is ${want}`, () => {
				const e = named("input[type=checkbox]", name);
				return (e.indeterminate ? "partly" : e.checked ? "yes" : "no") === want;
			}).then(() => true),
		fill: async (label, value) => {
			// A list can be read after the form is there: who fills it in waits for what they look for.
			const e = await until(`a field called ${label} that takes ${value}`, () => {
				const found = named("input:not([type=checkbox]), textarea, select", label);
				const takes = (found) => [...found.options].some((o) => o.value === value);
				return found && (found.localName !== "select" || takes(found)) ? found : null;
			});
			e.focus();
			const own = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(e), "value");
			own.set.call(e, value);
			if (e.value !== value) throw new Error(`${label} does not take ${value}`);
			e.dispatchEvent(new Event("input", { bubbles: true }));
			e.dispatchEvent(new Event("change", { bubbles: true }));
			return true;
		},
		value: async (label) =>
			(await until(`a field called ${label}`, () => named("input, textarea, select, output", label))).value,
		// within says whether an element is on the first screen.
		within: async (selector) => {
			const box = (await until(selector, () => document.querySelector(selector))).getBoundingClientRect();
			return box.top >= 0 && box.bottom <= innerHeight;
		},
		// paints follows an address of this page and tells how many milliseconds it took until that was drawn.
		paints: async (path) => {
			const began = follow(path);
			return drawnAfter(began);
		},
		// shows follows an address and tells how many milliseconds it took until so many elements were there and drawn.
		shows: async (path, selector, n) => {
			const began = follow(path);
			await until(
				`${n} of ${selector}`,
				() =>
					location.pathname + location.search === path &&
					!document.querySelector(".skeletons") &&
					document.querySelectorAll(selector).length === n,
			);
			return drawnAfter(began);
		},
		at: (path) =>
			until(`the address ${path}`, () => (location.pathname + location.search).startsWith(path)).then(() => true),
		rows: (n) =>
			until(
				`${n} rows`,
				() => !document.querySelector(".skeletons") && document.querySelectorAll("tbody tr").length === n,
			).then(() => true),
		firstRow: async () => {
			(await until("a row", () => document.querySelector("tbody tr a"))).click();
			return true;
		},
		firstReplay: async () => {
			(
				await until("a delivery to replay", () => document.querySelector("tbody tr .act button:not(:disabled)"))
			).click();
			return true;
		},
		firstMail: async () => {
			(await until("a mail", () => document.querySelector(".mail-list a"))).click();
			return true;
		},
		clickIn: async (within, name) => {
			const e = await until(`${name} in ${within}`, () => {
				const all = [...document.querySelectorAll(`${within} button`)].filter(
					(b) => shown(b) && !b.disabled && nameOf(b) === name,
				);
				return all.at(-1);
			});
			e.click();
			return true;
		},
		pressAll: async (name) => {
			await until(name, () => named("button", name));
			for (const e of [...document.querySelectorAll("button")].filter((b) => nameOf(b) === name)) e.click();
			return true;
		},
		hasFocus: (selector) =>
			until(`the focus on ${selector}`, () => document.activeElement?.matches(selector)).then(() => true),
		// focusOn: what is read later can take the place of what is there first, as a person sees who looks before a key.
		focusOn: async (name) => {
			await Promise.race([settled().catch(() => {}), new Promise((done) => setTimeout(done, 1000))]);
			let was = null;
			await until(`${name} to press, and to stay`, () => {
				const e = named("a[href], button, summary", name);
				const stays = e && e === was && document.activeElement === e;
				was = e;
				e?.focus();
				return stays;
			});
			return true;
		},
		// inSight: the first line of what was asked for is in the window, and nothing lies over it.
		inSight: (selector) =>
			until(`${selector} in sight`, () => {
				const r = document.querySelector(selector).getBoundingClientRect();
				const at = document.elementFromPoint(r.left + r.width / 2, r.top + 8);
				return r.top >= 0 && r.top < innerHeight - 40 && at?.closest(selector);
			}).then(() => true),
		centre: async (name) => {
			const e = await until(`${name} to touch`, () => {
				const button = named("button", name); // a link back can have the name of what is added
				const exact = button && nameOf(button) === name;
				const found = exact ? button : named("a[href], button, summary, label.box, input", name);
				return found && !found.disabled ? found : null;
			});
			e.scrollIntoView({ block: "center" });
			await settled();
			let was = "";
			return until(`${name} to stand still, with nothing over it`, () => {
				const r = e.getBoundingClientRect();
				const middle = [r.left + r.width / 2, r.top + r.height / 2];
				const at = document.elementFromPoint(...middle);
				const still = String(middle) === was;
				was = String(middle);
				return still && at && (e.contains(at) || at.closest("label")?.contains(e)) && middle;
			});
		},
		leaves: (yes) => {
			leaves = yes;
			return true;
		},
		asked: (n) => {
			if (asked !== n) throw new Error(`it asked ${asked} times`);
			return true;
		},
		saved: () => until("a saved file", () => saved),
		// savedBytes are those of a file that is no text, in base64.
		savedBytes: async () => {
			await until("a saved file", () => file);
			let out = "";
			for (const b of new Uint8Array(await file.arrayBuffer())) out += String.fromCharCode(b);
			return btoa(out);
		},
		back: () => {
			history.back();
			return true;
		},
		forward: () => {
			history.forward();
			return true;
		},
		holds: (label, want) =>
			until(`${label} holds ${want}`, () => named("input, textarea, select, output", label)?.value === want).then(
				() => true,
			),
		wasAsked: (n) => until(`it asked ${n} times`, () => asked === n).then(() => true),
		escape: async () => {
			(
				await until("a dialog", () => document.querySelector("dialog[open] input, dialog[open] button"))
			).dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true }));
			return true;
		},
		beside: async () => {
			const d = await until("a dialog", () => document.querySelector("dialog[open]"));
			for (const e of ["pointerdown", "click"]) d.dispatchEvent(new PointerEvent(e, { bubbles: true }));
			return true;
		},
		middle: async (selector) => {
			const e = await until(selector, () => [...document.querySelectorAll(selector)].find(shown));
			const { x, y, width, height } = e.getBoundingClientRect();
			return [x + width / 2, y + height / 2];
		},
		inside: (selector) =>
			until(`every ${selector} within the window`, () => {
				const all = [...document.querySelectorAll(selector)];
				return (
					all.length > 0 &&
					all.every((e) => {
						const { left, right, top, bottom } = e.getBoundingClientRect();
						return shown(e) && left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight;
					})
				);
			}).then(() => true),
		hidden: (selector) =>
			until(`not shown: ${selector}`, () => ![...document.querySelectorAll(selector)].some(shown)).then(
				() => true,
			),
		follow: (path) => {
			const a = document.createElement("a");
			a.href = path;
			document.body.append(a);
			a.click();
			a.remove();
			return true;
		},
		text: () => document.body.innerText,

		// waits is what the page of a delivery says that it waits for, and until when.
		waits: async () => {
			const first = ".halves .panel"; // the attempts
			await until("the attempts", () => document.querySelector(first));
			const attempts = document.querySelector(first);
			return {
				text: squeeze(attempts.innerText),
				at: attempts.querySelector("time")?.getAttribute("datetime") ?? "",
			};
		},
		// publicKey is the first that the page shows.
		publicKey: () => until("a public key", () => /whpk_[A-Za-z0-9+/=]+/.exec(document.body.innerText)?.[0]),
		// verifies says whether one of the signatures that are v1a is that of the content by a public key.
		verifies: async (key, signatures, content) => {
			const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
			const by = await crypto.subtle.importKey("raw", bytes(key.slice("whpk_".length)), "Ed25519", false, [
				"verify",
			]);
			for (const one of signatures.split(" "))
				if (
					one.startsWith("v1a,") &&
					(await crypto.subtle.verify("Ed25519", by, bytes(one.slice(4)), new TextEncoder().encode(content)))
				)
					return true;
			return false;
		},
		address: () => location.pathname + location.search,
		settled: () => settled().then(() => true),
		focused: () =>
			document.activeElement ? `${document.activeElement.localName} ${nameOf(document.activeElement)}` : "",
		seesFocus: () => {
			const s = getComputedStyle(document.activeElement);
			const c = document.activeElement.closest(".card, .tile");
			const of = c ? getComputedStyle(c) : s;
			return s.outlineStyle !== "none" || of.outlineStyle !== "none";
		},
		shift: () => shift,
		overflow: () =>
			[...document.querySelectorAll("body *")]
				.filter((e) => shown(e) && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
				.filter((e) => {
					for (let p = e.parentElement; p; p = p.parentElement)
						if (getComputedStyle(p).overflowX !== "visible") return false;
					return true;
				})
				.map((e) => `${e.localName}.${e.className} ${squeeze(e.textContent).slice(0, 60)}`)
				.slice(0, 5),
		// A bar that sticks lies over half a check box at some place of every scroll: it is judged where it belongs.
		judged: async (rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]) => {
			const sticky = [...document.querySelectorAll("body *")].filter(
				(e) => getComputedStyle(e).position === "sticky",
			);
			for (const e of sticky) e.style.position = "relative";
			const { violations } = await axe
				.run(document, {
					runOnly: rules,
					resultTypes: ["violations"],
				})
				.finally(() => {
					for (const e of sticky) e.style.position = "";
				});
			return violations.flatMap((v) =>
				v.nodes.map((n) => `${v.id}: ${v.help}: ${n.target.join(" ")}: ${n.failureSummary}`),
			);
		},
	};
})();
