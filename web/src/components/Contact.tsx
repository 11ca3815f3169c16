/** Whom to ask: an address or a link can be followed, words are words. */
export function Contact({ text }: { readonly text: string }) {
  if (/^https?:\/\/\S+$/.test(text)) {
    return (
      <a href={text} rel="noreferrer">
        {text.replace(/^https?:\/\//, '')}
      </a>
    );
  }
  if (/^[^\s@:/?#]+@[^\s@:/?#]+$/.test(text)) return <a href={`mailto:${text}`}>{text}</a>;
  return text;
}
