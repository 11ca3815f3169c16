import { createContext, useContext } from 'react';

/** Where menus and tips are put: inside the player, because nothing outside of it shows in full screen. */
export const ContainerContext = createContext<HTMLElement | null>(null);

export const useContainer = (): HTMLElement | null => useContext(ContainerContext);
