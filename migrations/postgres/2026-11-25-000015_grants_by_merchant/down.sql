DROP INDEX grants_by_merchant;
