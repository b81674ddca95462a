// Runs before the first paint: a chosen theme does not flash in, and the texts come together with the modules.
document.documentElement.dataset.theme = localStorage.getItem("theme") || "auto";
{
	const spoken = document.querySelector('meta[name="languages"]').content.split(" ");
	const wanted = [localStorage.getItem("language"), ...navigator.languages]
		.filter(Boolean)
		.map((l) => l.slice(0, 2).toLowerCase());
	const language = wanted.find((l) => spoken.includes(l)) || spoken[0];
	document.documentElement.lang = language;
	const files = [`messages/${language}`, "systems"];
	if (language !== spoken[0]) files.push(`messages/catalogue.${language}`);
	for (const file of files) {
		const link = document.createElement("link");
		link.rel = "preload";
		link.as = "fetch";
		link.crossOrigin = "anonymous"; // as fetch() asks for what is of its own origin
		link.href = `${document.querySelector('meta[name="base"]').content}${file}.json`;
		document.head.append(link);
	}
}
